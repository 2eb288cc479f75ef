"""The published contracts that Stepwell speaks, each a folder: a codec over core. They never import each other."""
