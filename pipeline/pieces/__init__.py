"""Steps of the road without a recipe or a run, by the code of the stages: files in, a file out."""
