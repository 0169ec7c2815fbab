ARG BASE_IMAGE=python:3.12-slim
FROM ${BASE_IMAGE}

ENV VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

# Everything but the package itself, by exact version: built again only when one of these two files changes.
COPY pyproject.toml constraints.txt /opt/vae-lightning/
RUN python3 -m venv $VIRTUAL_ENV \
    && cd /opt/vae-lightning \
    && python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > requirements.txt \
    && pip install --no-cache-dir -c constraints.txt -r requirements.txt

# The one folder to write to besides the data: runs/ in it is where a volume goes. Any user may write there, so that
# `--user "$(id -u)"` works: that user has no name and no home of its own, hence USER and HOME.
ENV HOME=/app/home \
    USER=vae \
    MPLCONFIGDIR=/app/home/matplotlib \
    VAE_LIGHTNING_DATA=/data \
    XDG_CACHE_HOME=/data/cache
RUN useradd --uid 1000 --home-dir $HOME --no-create-home --shell /bin/sh vae \
    && mkdir -p /app/home /app/runs /data \
    && chmod 0777 /app /app/home /app/runs /data

COPY LICENSE README.md /opt/vae-lightning/
COPY vae_lightning /opt/vae-lightning/vae_lightning
RUN pip install --no-cache-dir --no-deps /opt/vae-lightning
COPY vae_lightning/configs /app/configs
COPY checkpoints /app/checkpoints

USER vae
WORKDIR /app
ENTRYPOINT ["vae-lightning"]
CMD ["--help"]
