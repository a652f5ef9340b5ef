#!/bin/sh
# Starts Alertmanager, which sends alerts to the webhook ALERT_WEBHOOK_URL; if it is empty, it only shows them.
# Alertmanager itself reads no variables.
set -eu
export LC_ALL=C

url=${ALERT_WEBHOOK_URL:-}
case $url in
  *[!!-~]* | *[\"\\]*) valid=no ;; # which no URL holds, and which would end the string below
  '' | http://* | https://*) valid=yes ;;
  *) valid=no ;;
esac
if [ $valid = no ]; then
  echo "ALERT_WEBHOOK_URL is not the URL of a webhook" >&2
  exit 2
fi

config=${TMPDIR:-/tmp}/alertmanager.yml
umask 077 # the URL may hold a token
cat "$(dirname "$0")/routes.yml" >"$config"
printf '\nreceivers:\n  - name: people\n' >>"$config"
if [ -n "$url" ]; then
  printf '    webhook_configs:\n      - url: "%s"\n' "$url" >>"$config"
fi
exec alertmanager --config.file="$config" "$@"
