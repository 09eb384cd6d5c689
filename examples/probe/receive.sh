#!/bin/sh
# Stands in for PagerDuty and DataDog: prints what it is sent to the log of its container, one request a line.
body=$(head -c "${CONTENT_LENGTH:-0}" | tr -d '\n')
printf '%s %s\n' "$PATH_INFO" "$body" >/proc/1/fd/1
answer='{"status":"success"}'
printf 'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
    "${#answer}" "$answer"
