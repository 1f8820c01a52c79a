# The task for files that a function has no time for (ADR 32): docker build -t penstock-task . and push it to a registry
# that the cluster reads from; the stack's TaskImage names it. Datasets are in it: build it anew where they change.
ARG PYTHON=python:3.13-slim
FROM ${PYTHON}

COPY src/requirements.txt constraints.txt /tmp/
RUN pip install --no-cache-dir --no-deps --requirement /tmp/requirements.txt \
    && pip install --no-cache-dir --constraint /tmp/constraints.txt boto3 pyarrow

COPY src/penstock /opt/penstock/penstock
RUN rm -rf /opt/penstock/penstock/local /opt/penstock/penstock/cli
COPY datasets /opt/datasets

ENV PYTHONPATH=/opt/penstock PYTHONUNBUFFERED=1 PENSTOCK_DATASETS=/opt/datasets
# Everything else is read-only in Fargate, and a volume without this would be root's.
VOLUME /tmp
USER nobody
ENTRYPOINT ["python", "-m", "penstock.task"]
