# The terminal: docker run -it, with the identity of an operator in a volume at /var/lib/sysmon.
# Build from the root of the source. The program is compiled here, or taken from a folder that is there:
#   docker build -f deploy/images/tui.Dockerfile -t sysmon-tui .
#   docker build -f deploy/images/tui.Dockerfile -t sysmon-tui --build-arg PROGRAMS=built --build-arg FROM=target/dist .
# linux/arm64 builds by the same file and has not been tried.
ARG RUST=rust:1.95-bookworm
ARG LIBRARIES=debian:bookworm-slim
ARG PROGRAMS=compiled

FROM ${RUST} AS compiled
WORKDIR /source
COPY . .
ARG SOURCE_DATE_EPOCH
RUN cargo build --profile dist --locked --package sysmon-tui --bin sysmon-tui && \
    install -D --strip target/dist/sysmon-tui /out/usr/bin/sysmon-tui

FROM ${LIBRARIES} AS built
ARG FROM=target/dist
COPY --chmod=755 ${FROM}/sysmon-tui /out/usr/bin/sysmon-tui

FROM ${PROGRAMS} AS program

# The libraries that the program names, the loader, and the folders that it needs; nothing else is in the image.
FROM ${LIBRARIES} AS files
COPY --from=program /out /out
COPY deploy/images/collect /collect
RUN sh /collect /out/usr/bin/sysmon-tui /out

FROM scratch
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sysmon-tui" \
    org.opencontainers.image.description="Shows a fleet in the terminal, live or at any past second" \
    org.opencontainers.image.licenses="MIT OR Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
COPY --from=files /out /
ENV PATH=/usr/bin \
    TERM=xterm-256color \
    XDG_STATE_HOME=/var/lib
USER 65532:65532
VOLUME /var/lib/sysmon
ENTRYPOINT ["/usr/bin/sysmon-tui"]
