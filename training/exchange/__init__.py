"""Models in and out: weights of other programs come in, model folders for all of them go out.

`model_folder` is the form that a finished model has here; `export` writes one from a checkpoint,
`import_weights` from what other programs stored, whose files `weight_files` opens and whose names
`released_names` knows. `huggingface` holds the code that travels with a model.
"""
