#!/bin/bash
# Runs in the guest: smoke.sh OFFERED... -- ABSENT...
# For each hook set that the kernel offers: traces nginx and curl, and leaves spans, summary and
# the kernel's list of programs in /mnt, where the host judges them. For each that it does not
# offer: leaves what the agent says.
set -u
agent=/mnt/wirespan
work=$(mktemp -d)
offered=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do offered+=("$1"); shift; done
shift
absent=("$@")

# The kernel's programs, without what else the system loads for itself.
programs() { bpftool prog show | grep -E '^[0-9]+: (tracing|raw_tracepoint|tracepoint|kprobe)' || true; }

# waits SECONDS COMMAND...: until the command succeeds
waits() {
    local limit=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$limit" ] || return 1
        sleep 0.1
    done
}

# has PROCESS FILE TEXT: the file holds the text, or the process has ended
has() { ! kill -0 "$1" 2>/dev/null || grep -q "$3" "$2"; }

mkdir -p "$work/logs"
cat > "$work/nginx.conf" <<CONF
user root;
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/logs/error.log;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    server {
        listen 127.0.0.1:8080;
        location / { return 200 "0123456789"; }
    }
}
CONF
nginx -c "$work/nginx.conf" -e "$work/logs/error.log" &
nginx=$!
waits 30 curl -fsS -o /dev/null http://127.0.0.1:8080/ready || exit 3

"$agent" doctor --json > /mnt/doctor.json 2> /mnt/doctor.err
echo $? > /mnt/doctor.code

for hooks in "${offered[@]}"; do
    out=/mnt/$hooks
    programs > "$out.before"
    "$agent" run --hooks "$hooks" --export otlp-json \
        --summary "$work/$hooks.json" > "$work/$hooks.spans" 2> "$work/$hooks.err" &
    pid=$!
    waits 60 has $pid "$work/$hooks.err" 'wirespan: tracing'
    if kill -0 $pid 2>/dev/null; then
        for fd in /proc/$pid/fdinfo/*; do grep -hE '^(prog_id|verified_insns):' "$fd"; done \
            > "$out.insns" 2>/dev/null
        bpftool -j prog show > "$out.programs"
        # 20 connections of one request, then one connection with 30.
        for i in $(seq 20); do
            curl -sS -o /dev/null "http://127.0.0.1:8080/separate/$i"
        done
        curl -sS -o /dev/null "http://127.0.0.1:8080/kept/[1-30]"
        # Each operation of io_uring, in each context that the kernel runs it in.
        /mnt/syscalls 8080 uring_{send,sendmsg,write,writev}_{inline,worker,polled}
        sleep 2
        kill -INT $pid
    fi
    wait $pid
    echo $? > "$out.code"
    cp "$work/$hooks.json" "$out.summary.json"
    cp "$work/$hooks.spans" "$out.spans"
    cp "$work/$hooks.err" "$out.err"
    # The kernel frees programs a moment after the last reference.
    sleep 1
    programs > "$out.after"
done

for hooks in "${absent[@]}"; do
    timeout 60 "$agent" run --hooks "$hooks" --export otlp-json > /dev/null 2> "/mnt/$hooks.err"
    echo $? > "/mnt/$hooks.code"
done
kill $nginx
exit 0
