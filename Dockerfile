# syntax=docker/dockerfile:1
# Offhook in a container: `docker build --tag offhook .`; docs/operations.md says how to run it.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
# What compiles the C and assembler of the TLS library.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin offhook \
    && cp target/release/offhook /usr/local/bin/offhook

FROM debian:bookworm-slim
# 1: with the packages of the embedded voice and transcriber (80 MB), for trying it without keys.
ARG LOCAL_PROVIDERS=0
# The system's certificates are for clients such as `offhook call`; those for providers are compiled in. curl is
# for the health check.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && if [ "$LOCAL_PROVIDERS" = 1 ]; then \
        apt-get install --yes --no-install-recommends flite espeak-ng pocketsphinx pocketsphinx-en-us; \
    fi \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/offhook --shell /usr/sbin/nologin offhook \
    && install --directory --mode 0700 --owner offhook --group offhook /var/lib/offhook
COPY --from=build /usr/local/bin/offhook /usr/local/bin/offhook

USER offhook
WORKDIR /var/lib/offhook
ENV OFFHOOK_SERVER__LISTEN=0.0.0.0:8080 \
    OFFHOOK_STORE__PATH=/var/lib/offhook/data
VOLUME /var/lib/offhook
EXPOSE 8080
# SIGTERM drains; give it longer than calls.drain_timeout: `docker run --stop-timeout 660`.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["curl", "--silent", "--fail", "--output", "/dev/null", "http://127.0.0.1:8080/healthz"]
ENTRYPOINT ["/usr/local/bin/offhook"]
CMD ["serve"]
