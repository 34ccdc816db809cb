"""The nouns that everything else speaks of: spaces and genotypes, objectives, settings, results and fronts."""
