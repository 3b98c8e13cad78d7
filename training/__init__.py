"""From pretraining shards to a trained PanGu-α model.

This room holds the settings of a training run, the model, the order in which samples are read,
the training loop, checkpoints and generation. It reads shards and vocabularies through
`tokenizer` and knows nothing of crawls, recipes or Beam. Its modules need torch, except the
settings, which are therefore all that is imported here.
"""

from training.config import PRESETS, ModelSettings, TrainingSettings, load_settings

__all__ = ["PRESETS", "ModelSettings", "TrainingSettings", "load_settings"]
