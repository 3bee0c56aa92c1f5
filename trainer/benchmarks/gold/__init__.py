"""Scene graphs that people made (Action Genome, PVSG, STAR), as STSGs, and induced graphs scored against them."""
