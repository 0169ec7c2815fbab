ARG BASE_IMAGE=python:3.12-slim
FROM ${BASE_IMAGE} AS builder

# pip reads the first one: an index with CPU builds of torch makes the image much smaller. The second: "text,search".
ARG PIP_EXTRA_INDEX_URL=""
ARG EXTRAS=""

# Everything but the package itself, by exact version: built again only when one of these two files changes. pip lies in
# an environment of its own and stays here, as do headers, static libraries, tests, and Triton, which needs a compiler.
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN python3 -m venv /opt/pip \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/venv/bin/python -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
print(*project["dependencies"], *(one for name in sys.argv[1:] for one in project["optional-dependencies"][name]), sep="\n")' \
        $(echo "$EXTRAS" | tr , ' ') > requirements.txt \
    && /opt/pip/bin/pip --python /opt/venv/bin/python install -c constraints.txt -r requirements.txt \
    && cd /opt/venv/lib/python3*/site-packages \
    && rm -rf triton triton-*.dist-info torch/include torch/bin/protoc* \
    && find . -type d \( -name tests -o -path '*/nvidia/*/include' \) -prune -exec rm -rf {} + \
    && find . -name '*.a' -delete

# The package goes to a folder of its own, so that a change of it leaves the large layer as it is.
COPY LICENSE README.md ./
COPY vae_lightning vae_lightning
RUN /opt/pip/bin/pip --python /opt/venv/bin/python install --no-deps --prefix /opt/package .


FROM ${BASE_IMAGE}

# Any user may run it (`--user "$(id -u)"`): that user has no name and no home of its own, hence USER and HOME. What has
# to be written goes to /app/runs and /data, where volumes go, and to /tmp: the rest may be read-only. Without Triton,
# torch would say at every start that it counts no operations of Triton's.
LABEL org.opencontainers.image.title="vae-lightning" org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    USER=vae \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    TORCH_LOGS=-torch.utils.flop_counter \
    VAE_LIGHTNING_DATA=/data \
    XDG_CACHE_HOME=/data/cache
RUN useradd --uid 1000 --home-dir /app --no-create-home --shell /bin/sh vae \
    && mkdir -p /app/runs /data \
    && chmod 0777 /app /app/runs /data

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /opt/package /opt/venv
COPY vae_lightning/configs /app/configs
COPY checkpoints /app/checkpoints

USER vae
WORKDIR /app
ENTRYPOINT ["vae-lightning"]
CMD ["--help"]
