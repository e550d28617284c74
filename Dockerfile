# One image for every role: the container's command names the role, the environment configures it.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY proto proto
COPY services services
# TLS to Kafka is OpenSSL's, whose headers this image has.
RUN cargo build --release --locked --package evmesh --features kafka-tls

FROM debian:bookworm-slim
# OpenSSL, and the authorities that --kafka-tls believes: what the base lacks of them.
RUN dpkg --status libssl3 ca-certificates >/dev/null 2>&1 \
 || { apt-get update && apt-get install --yes --no-install-recommends libssl3 ca-certificates && rm -rf /var/lib/apt/lists/*; }
# Ids above the system's and the usual people's, fixed so that a volume keeps its owner from one image to the next.
RUN groupadd --gid 10001 evmesh \
 && useradd --uid 10001 --gid evmesh --no-create-home --home-dir /var/lib/evmesh --shell /usr/sbin/nologin evmesh \
 && install --directory --owner=evmesh --group=evmesh --mode=0700 /var/lib/evmesh
COPY --from=build /src/target/release/evmesh /usr/local/bin/evmesh
COPY examples /usr/local/share/evmesh/examples

# Where a store's volume is mounted: a new named volume takes over this folder's owner and its mode, which has to be the
# owner's alone.
WORKDIR /var/lib/evmesh
USER 10001:10001
ENTRYPOINT ["evmesh"]
CMD ["--help"]
