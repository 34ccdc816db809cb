variable "name" {
  description = "Prefix of every name here."
  type        = string
  default     = "irnas"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "Use 2 to 21 lower-case letters, digits and dashes."
  }
}

variable "region" {
  description = "Region of the bucket and the cluster."
  type        = string
  default     = "eu-central-1"
}

variable "bucket" {
  description = "Bucket for runs, data and artifacts; its name must be new in all of AWS."
  type        = string
}

variable "vpc_id" {
  description = "Network of the cluster."
  type        = string
}

variable "oidc_provider_arn" {
  description = "OIDC provider of an EKS cluster whose pods use the bucket; empty without one."
  type        = string
  default     = ""
}

variable "keep_old_days" {
  description = "Days for which an overwritten or deleted object can be brought back."
  type        = number
  default     = 30
}
