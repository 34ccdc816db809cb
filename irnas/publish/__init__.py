"""Runs on S3: which files a published run consists of, and their way there and back."""
