-- MLflow's runs are in the database that POSTGRES_DB names; its users get one of their own.
CREATE DATABASE mlflow_auth OWNER mlflow;
