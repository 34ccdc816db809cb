# Nodes talk to each other, and outwards. Nothing comes in: people come through Session Manager.

resource "aws_security_group" "cluster" {
  name        = "${var.name}-cluster"
  description = "Nodes of the Ray cluster, among themselves"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "among_nodes" {
  security_group_id            = aws_security_group.cluster.id
  referenced_security_group_id = aws_security_group.cluster.id
  description                  = "Ray between nodes"
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "among_nodes" {
  security_group_id            = aws_security_group.cluster.id
  referenced_security_group_id = aws_security_group.cluster.id
  description                  = "Ray between nodes"
  ip_protocol                  = "-1"
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.cluster.id
  description       = "S3, EC2, Session Manager and the registry"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
