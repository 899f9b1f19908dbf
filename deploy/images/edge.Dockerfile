# The edge. Keep /var/lib/sysmon in a volume: it holds the identity.
# Build from the root of the source. The program is compiled here, or taken from a folder that is there:
#   docker build -f deploy/images/edge.Dockerfile -t sysmon-edge .
#   docker build -f deploy/images/edge.Dockerfile -t sysmon-edge --build-arg PROGRAMS=built --build-arg FROM=target/dist .
# linux/arm64 builds by the same file and has not been tried.
ARG RUST=rust:1.95-bookworm
ARG LIBRARIES=debian:bookworm-slim
ARG PROGRAMS=compiled

FROM ${RUST} AS compiled
WORKDIR /source
COPY . .
ARG SOURCE_DATE_EPOCH
RUN cargo build --profile dist --locked --package sysmon-edge --bin sysmon-edge && \
    install -D --strip target/dist/sysmon-edge /out/usr/bin/sysmon-edge

FROM ${LIBRARIES} AS built
ARG FROM=target/dist
COPY --chmod=755 ${FROM}/sysmon-edge /out/usr/bin/sysmon-edge

FROM ${PROGRAMS} AS program

# The libraries that the program names, the loader, and the folders that it needs; nothing else is in the image.
FROM ${LIBRARIES} AS files
COPY --from=program /out /out
COPY deploy/images/collect /collect
RUN sh /collect /out/usr/bin/sysmon-edge /out

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sysmon-edge" \
    org.opencontainers.image.description="Public, redacted web page of a fleet" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=files /out /
ENV PATH=/usr/bin \
    SYSMON_EDGE__WEB=[::]:8080 \
    XDG_STATE_HOME=/var/lib
USER 65532:65532
VOLUME /var/lib/sysmon
EXPOSE 7979/udp 8080/tcp
HEALTHCHECK --interval=30s --timeout=10s --start-period=15m \
    CMD ["/usr/bin/sysmon-edge", "health"]
ENTRYPOINT ["/usr/bin/sysmon-edge"]
