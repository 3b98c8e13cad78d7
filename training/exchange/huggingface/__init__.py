"""The code that travels with an exported model, so that Hugging Face transformers can load it.

`modeling_pangu.py` is copied into every exported folder; it needs torch and transformers and
nothing of this project. Nothing here is imported by the trainer.
"""
