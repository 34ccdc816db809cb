"""Makes the bucket on the S3 server of this compose file, if it is not there. Amazon's buckets come from Terraform."""

import os

import boto3
from botocore.exceptions import ClientError

bucket = os.environ["MLFLOW_BUCKET"]
s3 = boto3.client("s3")
try:
    s3.head_bucket(Bucket=bucket)
except ClientError as error:
    if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
        raise
    s3.create_bucket(Bucket=bucket)
print(f"bucket {bucket} is there")
