# syntax=docker/dockerfile:1

# One image with all three programs: crm-api, outbox-relay and wechat-sandbox.
#
#   docker build --tag yizhan .
#
# SQLite, libpq and OpenSSL are built from source and linked in. That needs a C compiler, make and
# perl, which this base image has; the runtime image needs none of them. The programs are built by
# one command, so that all of them get the same OpenSSL.
FROM rust:1.95.0-bookworm AS build
WORKDIR /src

# The toolchain of the base image, rather than a second one that rust-toolchain.toml would fetch.
ENV RUSTUP_TOOLCHAIN=1.95.0

COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bins -p crm-api -p outbox-relay -p wechat-sandbox \
    && mkdir /programs \
    && cp target/release/crm-api target/release/outbox-relay target/release/wechat-sandbox /programs/

FROM debian:bookworm-slim

# ca-certificates: to trust the platform's HTTPS. curl: for health checks.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /srv --shell /usr/sbin/nologin yizhan \
    && install --directory --owner=yizhan --group=yizhan /srv/data

COPY --from=build /programs/ /usr/local/bin/

# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
# The default database of crm-api is ./data/yizhan.db; mount a volume there to keep it.
WORKDIR /srv

# Inside a container "this host only" would mean "nobody".
ENV LISTEN=0.0.0.0:8080 \
    RELAY_LISTEN=0.0.0.0:9090 \
    WECHAT_SANDBOX_LISTEN=0.0.0.0:9100
EXPOSE 8080 9090 9100

# Run another program by naming it: docker run yizhan outbox-relay outbox stats
CMD ["crm-api"]
