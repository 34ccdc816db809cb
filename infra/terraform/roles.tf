# Who may do what. Nobody gets a key that could be lost: instances and pods have roles.

data "aws_caller_identity" "here" {}

data "aws_iam_policy_document" "runs" {
  # Without this, a missing object looks forbidden, and a resumed publication would stop at its first new file.
  statement {
    sid       = "ListRunsAndData"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.irnas.arn]

    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["runs/*", "published/*", "data/*"]
    }
  }

  # DeleteObject removes a trial's checkpoint once it is recorded; the bucket keeps the old version for some weeks.
  statement {
    sid       = "WriteRuns"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.irnas.arn}/runs/*"]
  }

  statement {
    sid       = "Publish"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.irnas.arn}/published/*"]
  }

  statement {
    sid       = "ReadData"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.irnas.arn}/data/*"]
  }

  statement {
    sid       = "UseTheBucketsKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.irnas.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_policy" "runs" {
  name   = "${var.name}-runs"
  policy = data.aws_iam_policy_document.runs.json
}

# The head starts and ends the other nodes: only with the worker's role, and it ends only what Ray tagged as its own.
data "aws_iam_policy_document" "autoscaler" {
  statement {
    sid       = "Look"
    actions   = ["ec2:DescribeInstances", "ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeSubnets"]
    resources = ["*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = [var.region]
    }
  }

  statement {
    sid     = "StartInThisNetwork"
    actions = ["ec2:RunInstances"]
    resources = [
      "arn:aws:ec2:${var.region}::image/*",
      "arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:key-pair/${var.name}",
      "arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:network-interface/*",
      "arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:security-group/${aws_security_group.cluster.id}",
      "arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:subnet/*",
      "arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:volume/*",
    ]
  }

  statement {
    sid       = "StartTaggedInstances"
    actions   = ["ec2:RunInstances"]
    resources = ["arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/ray-cluster-name"
      values   = [var.name]
    }
  }

  statement {
    sid       = "TagAtTheStart"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:*/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }

  statement {
    sid       = "EndAndTagItsOwn"
    actions   = ["ec2:TerminateInstances", "ec2:CreateTags"]
    resources = ["arn:aws:ec2:${var.region}:${data.aws_caller_identity.here.account_id}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ray-cluster-name"
      values   = [var.name]
    }
  }

  statement {
    sid       = "GiveTheWorkersRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.node["worker"].arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_policy" "autoscaler" {
  name   = "${var.name}-autoscaler"
  policy = data.aws_iam_policy_document.autoscaler.json
}

data "aws_iam_policy_document" "assume_ec2" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "node" {
  for_each           = toset(["head", "worker"])
  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.assume_ec2.json
}

resource "aws_iam_instance_profile" "node" {
  for_each = aws_iam_role.node
  name     = each.value.name
  role     = each.value.name
}

resource "aws_iam_role_policy_attachment" "runs" {
  for_each   = aws_iam_role.node
  role       = each.value.name
  policy_arn = aws_iam_policy.runs.arn
}

# Session Manager, instead of an open port 22.
resource "aws_iam_role_policy_attachment" "session" {
  for_each   = aws_iam_role.node
  role       = each.value.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy_attachment" "autoscaler" {
  role       = aws_iam_role.node["head"].name
  policy_arn = aws_iam_policy.autoscaler.arn
}

# The pods of infra/ray/kuberay, by the name of their service accounts.
data "aws_iam_policy_document" "assume_pod" {
  count = var.oidc_provider_arn == "" ? 0 : 1

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.oidc_provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${split("oidc-provider/", var.oidc_provider_arn)[1]}:sub"
      values   = ["system:serviceaccount:irnas:irnas-head", "system:serviceaccount:irnas:irnas-worker"]
    }

    condition {
      test     = "StringEquals"
      variable = "${split("oidc-provider/", var.oidc_provider_arn)[1]}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "pod" {
  count              = var.oidc_provider_arn == "" ? 0 : 1
  name               = "${var.name}-pod"
  assume_role_policy = data.aws_iam_policy_document.assume_pod[0].json
}

resource "aws_iam_role_policy_attachment" "pod" {
  count      = var.oidc_provider_arn == "" ? 0 : 1
  role       = aws_iam_role.pod[0].name
  policy_arn = aws_iam_policy.runs.arn
}
