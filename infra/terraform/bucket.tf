# One private bucket: runs/ and published/ of searches, data/ of DVC, mlflow/ of the tracking server.

resource "aws_s3_bucket" "irnas" {
  bucket = var.bucket

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "irnas" {
  bucket                  = aws_s3_bucket.irnas.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Access is decided by policies alone; lists of single objects' owners are off.
resource "aws_s3_bucket_ownership_controls" "irnas" {
  bucket = aws_s3_bucket.irnas.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_kms_key" "irnas" {
  description             = "Objects of ${var.bucket}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_s3_bucket_server_side_encryption_configuration" "irnas" {
  bucket = aws_s3_bucket.irnas.id

  rule {
    # One key request serves many objects: a run writes thousands of small ones.
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.irnas.arn
    }
  }
}

resource "aws_s3_bucket_versioning" "irnas" {
  bucket = aws_s3_bucket.irnas.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Without it, versioning would keep every checkpoint that was ever overwritten.
resource "aws_s3_bucket_lifecycle_configuration" "irnas" {
  bucket     = aws_s3_bucket.irnas.id
  depends_on = [aws_s3_bucket_versioning.irnas]

  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.keep_old_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }

    expiration {
      expired_object_delete_marker = true
    }
  }
}

data "aws_iam_policy_document" "tls_only" {
  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.irnas.arn, "${aws_s3_bucket.irnas.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "irnas" {
  bucket     = aws_s3_bucket.irnas.id
  policy     = data.aws_iam_policy_document.tls_only.json
  depends_on = [aws_s3_bucket_public_access_block.irnas]
}
