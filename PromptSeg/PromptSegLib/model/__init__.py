"""PUNet, the promptable U-Net."""
