"""From a recipe to a corpus and, if wanted, a trained model.

Each task is one command that a person could type, with `$RECIPE`, `$RUN` and `$WORKERS` standing
for the parameters of the DAG run. docs/airflow.md tells how to install and trigger it.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param, task

# Anyone who may trigger a run writes its parameters, so no command is put together from them: they
# are environment variables, which stay one word each in double quotes. `@task.bash` would not do,
# because it renders its environment twice and so would execute a `{{ … }}` inside a parameter.
PARAMETERS = {
    "RECIPE": "{{ params.recipe }}",
    "RUN": "{{ params.run }}",
    "WORKERS": "{{ params.workers }}",
}

with DAG(
    dag_id="corpus",
    description="Recipe → corpus, tokenizer, shards, report → model",
    doc_md=__doc__,
    schedule=None,
    # Two runs into one directory would write the same files.
    max_active_runs=1,
    params={
        # A task starts in an empty folder, and a value that starts with `-` would be an option:
        # paths are absolute.
        "recipe": Param(
            type="string",
            pattern="^/",
            description="Recipe, as an absolute path on the worker.",
        ),
        "run": Param(
            type="string",
            pattern="^(/|[a-z0-9]+://)",
            description="Run directory: an absolute path or an address such as s3://bucket/run.",
        ),
        "workers": Param(2, type="integer", minimum=1, description="Local processes."),
        "train": Param(
            False,
            type="boolean",
            description="Train a model afterwards; needs a run directory on a disk.",
        ),
    },
    default_args={
        "env": PARAMETERS,
        "append_env": True,
        "retry_delay": timedelta(minutes=5),
    },
):
    # No second try: a recipe with a mistake does not get better by waiting.
    plan = BashOperator(
        task_id="plan",
        bash_command='pangu plan "$RECIPE" --out "$RUN"',
    )
    # A second try does not start anew: finished stages and input files are kept.
    run = BashOperator(
        task_id="run",
        bash_command='pangu run "$RECIPE" --out "$RUN" --workers "$WORKERS"',
        retries=2,
    )

    @task.short_circuit
    def training_wanted(params: dict[str, object]) -> bool:
        """Skips what follows unless the parameter `train` is set."""
        return bool(params["train"])

    # A second try goes on from the latest checkpoint.
    train = BashOperator(
        task_id="train",
        bash_command='pangu train "$RUN/pretrain.yaml"',
        retries=2,
    )

    plan >> run >> training_wanted() >> train

# Every Monday at three o'clock (UTC), as a file of its own beside this one. The run directory
# carries the date, since checkpoints do not go on over shards that changed.
#
# from datetime import datetime
#
# from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
# from airflow.sdk import DAG
#
# with DAG(dag_id="weekly_news", schedule="0 3 * * 1", start_date=datetime(2026, 1, 1)):
#     TriggerDagRunOperator(
#         task_id="corpus",
#         trigger_dag_id="corpus",
#         conf={
#             "recipe": "/data/recipes/news.yaml",
#             "run": "/data/runs/news-{{ ds }}",
#             "train": True,
#         },
#     )
