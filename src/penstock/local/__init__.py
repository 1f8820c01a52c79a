"""The laptop: starts the engines, deploys template.yaml to them, drives and watches runs."""
