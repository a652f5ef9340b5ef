"""The desk's switch: whether the model decides, or every application is referred to a person."""
