"""What pyproject.toml cannot say: the folder of scripts is installed under another name."""

from setuptools import find_namespace_packages, setup

NAME = "keras_resnet_scripts"
parts = find_namespace_packages("scripts", exclude=["__pycache__"])

setup(
    packages=[
        *find_namespace_packages(
            include=["keras_resnet*", "detection*"], exclude=["*__pycache__*"]
        ),
        NAME,
        *(f"{NAME}.{part}" for part in parts),
    ],
    package_dir={NAME: "scripts"},
)
