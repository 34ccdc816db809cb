#!/bin/sh
# Starts the server with secrets that come as files: they are in no image, no command line and no compose file.
set -eu

# libpq reads it, so neither URI below holds a password.
PGPASSWORD=$(cat /run/secrets/postgres_password)
# The password of "admin" at the very first start; later ones are changed through MLflow.
MLFLOW_AUTH_ADMIN_PASSWORD=$(cat /run/secrets/mlflow_admin_password)
MLFLOW_FLASK_SERVER_SECRET_KEY=$(cat /run/secrets/mlflow_session_key)
export PGPASSWORD MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY

# The driver is named, for SQLAlchemy 2.1 would take another one by default.
# A request must name a host of this list, port included: that keeps web pages elsewhere from reaching this server.
exec mlflow server --host 0.0.0.0 --port 5000 --workers 2 --app-name basic-auth \
    --backend-store-uri postgresql+psycopg2://mlflow@postgres/mlflow \
    --artifacts-destination "s3://$MLFLOW_BUCKET/mlflow" \
    --allowed-hosts "$MLFLOW_ALLOWED_HOSTS"
