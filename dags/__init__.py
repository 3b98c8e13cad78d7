"""Schedules: Airflow DAGs whose tasks are commands that a person could type."""
