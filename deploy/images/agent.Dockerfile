# The agent. Needs --network host, --pid host, the root directory of the host at /host, and the capabilities SYS_PTRACE and DAC_READ_SEARCH as root to see everything; without them it reports what it may read.
# Build from the root of the source. The program is compiled here, or taken from a folder that is there:
#   docker build -f deploy/images/agent.Dockerfile -t sysmon-agent .
#   docker build -f deploy/images/agent.Dockerfile -t sysmon-agent --build-arg PROGRAMS=built --build-arg FROM=target/dist .
# linux/arm64 builds by the same file and has not been tried.
ARG RUST=rust:1.95-bookworm
ARG LIBRARIES=debian:bookworm-slim
ARG PROGRAMS=compiled

FROM ${RUST} AS compiled
WORKDIR /source
COPY . .
ARG SOURCE_DATE_EPOCH
RUN cargo build --profile dist --locked --package sysmon-agent --bin sysmon-agent && \
    install -D --strip target/dist/sysmon-agent /out/usr/bin/sysmon-agent

FROM ${LIBRARIES} AS built
ARG FROM=target/dist
COPY --chmod=755 ${FROM}/sysmon-agent /out/usr/bin/sysmon-agent

FROM ${PROGRAMS} AS program

# The libraries that the program names, the loader, and the folders that it needs; nothing else is in the image.
FROM ${LIBRARIES} AS files
COPY --from=program /out /out
COPY deploy/images/collect /collect
RUN sh /collect /out/usr/bin/sysmon-agent /out

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sysmon-agent" \
    org.opencontainers.image.description="Collects the metrics of a host and pushes them to a hub" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=files /out /
ENV PATH=/usr/bin \
    SYSMON_AGENT__PROC=/host/proc \
    SYSMON_AGENT__SYS=/host/sys \
    SYSMON_AGENT__ROOTFS=/host \
    XDG_STATE_HOME=/var/lib
USER 65532:65532
VOLUME /var/lib/sysmon
HEALTHCHECK --interval=30s --timeout=10s --start-period=15m \
    CMD ["/usr/bin/sysmon-agent", "health"]
ENTRYPOINT ["/usr/bin/sysmon-agent"]
