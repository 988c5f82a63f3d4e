"""SchNetPack's SchNet and PaiNN, fast on a CPU."""
