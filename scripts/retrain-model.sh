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
# Cron starts it with next to no environment: settings go into the crontab, as lines of their own. Two runs of it never
# overlap (flock on this file, where the system has it), and the service trains one model at a time whoever asks.
#
# Exit codes: 0 trained, or nothing new; 1 the training failed, or did not end in time; 2 the service is not healthy;
# 3 it refused: another training is under way, there is too little data, or the model is worse than the one that serves.
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
    local method=$1 path=$2 seconds=$3 key=
    # A secret as well.
    [[ -z ${API_KEY:-} ]] || key="header = \"X-API-Key: $(escaped "$API_KEY")\""
    curl --silent --show-error --max-time "$seconds" --request "$method" --output "$answer" \
        --write-out '%{http_code}' --config - "$url$path" <<<"$key" || true
}

exec 9<"${BASH_SOURCE[0]}"
if command -v flock >/dev/null && ! flock --nonblock 9; then
    tell "Model training was refused: another run of this script is under way"
    exit 3
fi

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
    000)
        tell "Model training failed: no answer within $timeout s; if the service lives, it may still be training"
        exit 1
        ;;
    *)
        tell "Model training failed with status $status: $body"
        exit 1
        ;;
esac
