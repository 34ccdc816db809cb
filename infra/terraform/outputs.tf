output "bucket" {
  description = "For --run s3://BUCKET/runs/NAME and irnas publish RUN s3://BUCKET/published/NAME."
  value       = aws_s3_bucket.irnas.id
}

output "security_group" {
  description = "SecurityGroupIds of infra/ray/aws.yaml."
  value       = aws_security_group.cluster.id
}

output "instance_profiles" {
  description = "IamInstanceProfile of the head and of the workers in infra/ray/aws.yaml."
  value       = { for name, profile in aws_iam_instance_profile.node : name => profile.arn }
}

output "pod_role" {
  description = "eks.amazonaws.com/role-arn of infra/ray/kuberay/namespace.yaml; null without an OIDC provider."
  value       = one(aws_iam_role.pod[*].arn)
}
