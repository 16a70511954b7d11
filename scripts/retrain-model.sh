#!/usr/bin/env bash
# Trains a new model through the running service, for cron:
#
#   0 2 * * * …/scripts/retrain-model.sh >> /var/log/retrain-model.log 2>&1
#
# The service trains only when there is something new. Settings, all optional:
#   ML_SERVICE_URL     where the service is (http://127.0.0.1:SERVICE_PORT, and that is 4004)
#   API_KEY            the service key, where the service is on another machine
#   SLACK_WEBHOOK_URL  where to tell what came of it; not reaching it fails nothing
#   RETRAIN_TIMEOUT    seconds to wait for the training (600)
#
# Exit codes: 0 trained, or nothing new; 1 the training failed; 2 the service is not healthy; 3 it refused, as
# another training is under way or there is too little data.
set -euo pipefail

url=${ML_SERVICE_URL:-http://127.0.0.1:${SERVICE_PORT:-4004}}
timeout=${RETRAIN_TIMEOUT:-600}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

log() {
    printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

# Quotes, backslashes and control characters would end the string that the text goes into.
escaped() {
    printf '%s' "$1" | tr -d '\000-\037' | sed 's/\\/\\\\/g; s/"/\\"/g'
}

tell() {
    log "$1"
    if [[ -n ${SLACK_WEBHOOK_URL:-} ]]; then
        # The address is a secret: it goes in by standard input, where no list of processes shows it.
        curl --silent --show-error --fail --max-time 10 --output /dev/null --config - <<CONFIG || log "Slack was not reached"
url = "$SLACK_WEBHOOK_URL"
header = "Content-Type: application/json"
data = "$(escaped "{\"text\": \"$(escaped "$1")\"}")"
CONFIG
    fi
}

# Asks the service; prints the status, 000 where there was no answer, and leaves the body in $answer.
ask() {
    local method=$1 path=$2 seconds=$3
    curl --silent --show-error --max-time "$seconds" --request "$method" --output "$answer" \
        --write-out '%{http_code}' --config - "$url$path" <<CONFIG || true
${API_KEY:+header = "X-API-Key: $API_KEY"}
CONFIG
}

status=$(ask GET /health 10)
if [[ $status != 200 ]]; then
    tell "Model training did not start: $url/health answered $status"
    exit 2
fi

log "training through $url"
status=$(ask POST /v1/model/retrain "$timeout")
body=$(head -c 2000 "$answer")
case $status in
    200)
        tell "Model training: $body"
        ;;
    409)
        tell "Model training was refused: $body"
        exit 3
        ;;
    *)
        tell "Model training failed with status $status: $body"
        exit 1
        ;;
esac
