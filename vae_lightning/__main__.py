"""`python -m vae_lightning` is the command `vae-lightning`."""

from vae_lightning.cli import main

if __name__ == "__main__":
    main()
