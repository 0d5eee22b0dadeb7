#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tests/layers_test.sh — proves that the layers check refuses each kind of violation, on a small tree of its own.
set -eu
awk_file=$(cd "$(dirname "$0")" && pwd)/layers.awk
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree"
passed=0
failed=0

# A tree that breaks no rule.
plant()
{
	find . -mindepth 1 -delete
	mkdir -p core/base rtp/sdp ice dtls api/kurento
	echo '#include <string.h>' >core/base/base.h
	printf '#include "core/base/base.h"\n#include <mbedtls/sha1.h>\n' >core/base/digest.c
	printf '#include "core/base/base.h"\n' >rtp/rtp.h
	printf '#include "rtp/rtp.h"\n' >rtp/rtp_int.h
	printf '#include "rtp/rtp_int.h"\n#include "core/base/base.h"\n' >rtp/rx.c
	printf '#include "rtp/rtp.h"\n' >rtp/sdp/sdp.h
	printf '#include "ice/ice_types.h"\n' >ice/ice.h
	: >ice/ice_types.h
	: >ice/ice_int.h
	printf '#include <srtp2/srtp.h>\n#include <mbedtls/ssl.h>\n' >dtls/srtp.c
	: >dtls/dtls.h
	printf '#include "ice/ice.h"\n#include "rtp/rtp.h"\n#include "dtls/dtls.h"\n#include <uv.h>\n' >core/core.h
	printf '#include "ice/ice_types.h"\n#include <sys/socket.h>\n#include <yaml.h>\n' >core/loop.c
	printf '#include "core/core.h"\n#include "rtp/sdp/sdp.h"\n#include <libwebsockets.h>\n' >api/http.c
	: >api/api.h
	: >api/ws.h
	: >api/http_int.h
	printf '#include "api/api.h"\n#include "api/ws.h"\n' >api/kurento/kurento.h
	printf '#include "api/api.h"\n#include "core/core.h"\n#include "core/loop.h"\n' >core/main.c
	printf 'ice/agent.o:                 U sl_hash_get\nice/agent.o:                 U memcpy\n' >clean.nm
}

check()
{
	find . -name '*.[ch]' -o -name '*.nm' | sed 's|^\./||' | sort | xargs awk -f "$awk_file" >found 2>&1
}

ok()
{
	passed=$((passed + 1))
}

not_ok()
{
	echo "layers-test: $1"
	cat found
	failed=$((failed + 1))
}

# refused FILE LINE WORD: with that line added the check fails, naming the file and the word; once.
refused()
{
	plant
	printf '%s\n' "$2" >>"$1"
	if check; then
		not_ok "took '$2' in $1"
	elif [ "$(grep -c . found)" = 1 ] && grep -qF "${1%.nm}" found && grep -qF "$3" found; then
		ok
	else
		not_ok "does not say what is wrong with '$2' in $1"
	fi
}

# taken FILE LINE: with that line added the check still passes.
taken()
{
	plant
	printf '%s\n' "$2" >>"$1"
	if check; then ok; else not_ok "refused '$2' in $1"; fi
}

# symbol NAME: an object of ice that needs it is refused.
symbol()
{
	plant
	echo "ice/agent.o:                 U $1" >planted.nm
	if check; then
		not_ok "took the symbol $1"
	elif grep -qF "ice/agent.o" found && grep -qF "$1" found; then
		ok
	else
		not_ok "does not name $1"
	fi
}

no_symbol()
{
	plant
	echo "ice/agent.o:                 U $1" >planted.nm
	if check; then ok; else not_ok "refused the symbol $1"; fi
}

taken core/main.c ''

# Up and sideways.
refused core/base/base.h '#include "rtp/rtp.h"' 'core/base/ may not include rtp/rtp.h'
refused rtp/rx.c '#include "core/core.h"' 'rtp/ may not include core/core.h'
refused rtp/rx.c '#include "rtp/sdp/sdp.h"' 'rtp/ may not include rtp/sdp/sdp.h'
refused ice/ice.h ' #  include "rtp/rtp.h"' 'ice/ may not include rtp/rtp.h'
refused dtls/srtp.c '#include "ice/ice.h"' 'dtls/ may not include ice/ice.h'
refused core/loop.c '#include "api/api.h"' 'core/ may not include api/api.h'
refused core/loop.c '#include "rtp/sdp/sdp.h"' 'core/ may not include rtp/sdp/sdp.h'
refused api/http.c '#include "ice/ice.h"' 'api/ may not include ice/ice.h'
refused api/http.c '#include "dtls/dtls.h"' 'api/ may not include dtls/dtls.h'
refused api/http.c '#include "api/kurento/kurento.h"' 'api/ may not include api/kurento/kurento.h'
refused api/kurento/kurento.h '#include "api/http_int.h"' 'private to api/'
refused core/loop.c '#include "api/kurento/kurento.h"' 'core/ may not include api/kurento/kurento.h'
taken core/main.c '#include "api/kurento/kurento.h"'
refused core/main.c '#include "codecs/codecs.h"' 'main/ may not include codecs/codecs.h'
refused rtp/sdp/sdp.h '#include "ice/ice.h"' 'rtp/sdp/ may not include ice/ice.h'

# A folder's private headers, and paths that are not from the root.
refused core/loop.c '#include "rtp/rtp_int.h"' 'private to rtp/'
refused core/loop.c '#include "ice/ice_int.h"' 'private to ice/'
refused rtp/sdp/sdp.h '#include "rtp/rtp_int.h"' 'private to rtp/'
refused rtp/rx.c '#include "rtp_int.h"' 'not named from the root'
refused rtp/rx.c '#include "../core/core.h"' 'not named from the root'
refused rtp/rx.c '#include HEADER' 'names its file'
taken core/loop.c '#include "ice/ice_types.h"'
taken rtp/sdp/sdp.h '#include "core/base/base.h"'

# Foreign libraries.
refused core/loop.c '#include <mbedtls/ssl.h>' '<mbedtls/ssl.h> belongs to'
refused core/base/base.h '#include <mbedtls/md.h>' '<mbedtls/md.h> belongs to'
refused ice/ice.h '#include <uv.h>' '<uv.h> belongs to'
refused core/loop.c '#include <srtp2/srtp.h>' '<srtp2/srtp.h> belongs to'
refused core/loop.c '#include <libwebsockets.h>' '<libwebsockets.h> belongs to'
refused api/http.c '#include <yaml.h>' '<yaml.h> belongs to'
refused rtp/rx.c '#include <cjson/cJSON.h>' '<cjson/cJSON.h> belongs to'
refused rtp/rx.c '#include <libavcodec/avcodec.h>' '<libavcodec/avcodec.h> belongs to'
refused core/loop.c '#include <glib.h>' 'no library known'
taken api/http.c '#include <uv.h>'
taken api/http.c '#include <mbedtls/x509_crt.h>'
taken core/loop.c '#include <netinet/in.h>'

# What the objects ask the linker for.
for s in socket sendto sendmsg sendmmsg recv recvfrom recvmmsg clock_gettime gettimeofday time getrandom rand \
	pthread_create pthread_mutex_lock uv_now printf fprintf vprintf dprintf asprintf sprintf snprintf vsnprintf \
	__snprintf_chk __fprintf_chk __printf_chk puts fputs malloc calloc strdup; do
	symbol "$s"
done
for s in memcpy __memcpy_chk __stack_chk_fail sl_fmt strtol mbedtls_ssl_handshake mbedtls_time sl_time srtp_protect \
	sl_ice_recv bsearch qsort readers timeout gmtime_r strftime; do
	no_symbol "$s"
done

# A real object, through a real nm.
plant
echo 'long time(long *); long planted(void); long planted(void) { return time(0); }' >planted.c
${CC:-cc} -c planted.c -o planted.o
rm planted.c
nm -u -A planted.o >planted.nm
if check; then
	not_ok "took an object that calls time()"
elif grep -qF 'planted.o' found && grep -qF 'time()' found; then
	ok
else
	not_ok "does not name planted.o"
fi

echo "layers-test: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
