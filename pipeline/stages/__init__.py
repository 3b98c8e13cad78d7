"""The stages of a run, one module each; `pipeline/run.py` puts them in order."""
