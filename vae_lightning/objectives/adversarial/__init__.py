"""Adversarial training: what the two players lose, how the discriminator is held smooth, what it is shown."""
