"""The scripts, as the wheel installs them: the subcommands of `keras-resnet`."""
