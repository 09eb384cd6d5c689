# docker-test's own image: one static program and nothing else. `scripts/release` puts the program where this reads it.
#   docker-test build -t docker-test:dev . && docker-test docker-test:dev
FROM scratch
ARG BINARY=target/dist/docker-test
COPY ${BINARY} /docker-test
ENTRYPOINT ["/docker-test"]

# The image holds no shell: the tests bring one (`scripts/fixture base up` makes it; busybox:1 would do as well).
ONTEST COPY --from=docker-test-base/busybox:1 /bin /bin
ONTEST COPY tests/selftest /selftest
ONTEST WORKDIR /selftest
ONTEST CMD ["/bin/sh", "/selftest/run.sh"]
