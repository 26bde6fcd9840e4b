# Airflow with the pipeline; docs/docker.md tells how it is run. The version is that of requirements.in.
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2

FROM ${AIRFLOW_IMAGE} AS airflow
COPY --chown=airflow:0 requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY --chown=airflow:0 config config
COPY --chown=airflow:0 include include
COPY --chown=airflow:0 plugins plugins
COPY --chown=airflow:0 dags dags

# The stand-ins for AWS and the demo, kept out of the image that production runs.
FROM airflow AS stand-ins
COPY --chown=airflow:0 requirements-dev.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements-dev.txt
COPY --chown=airflow:0 local-redshift local-redshift
COPY --chown=airflow:0 local local
# Volumes take over the owner of the folder that they are mounted on.
RUN mkdir -p .local/s3 .local/redshift
