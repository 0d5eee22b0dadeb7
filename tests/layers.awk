# SPDX-License-Identifier: Apache-2.0
# tests/layers.awk — refuses what points up or sideways. The tables below are the architecture.
# Input: the product's sources, named from the root of the tree, and *.nm files with the output of `nm -u -A` over the
# objects of the folders that do no IO. Prints one line for each violation; exit code 1 when there is one.

BEGIN {
	# Whose headers a folder may include besides its own.
	arrows["core/base"] = ""
	arrows["rtp"]       = "core/base"
	arrows["rtp/sdp"]   = "core/base rtp"
	arrows["ice"]       = "core/base"
	arrows["dtls"]      = "core/base"
	arrows["core"]      = "core/base rtp ice dtls"
	arrows["codecs"]    = "core/base rtp"
	arrows["record"]    = "core/base rtp"
	arrows["rtsp"]      = "core/base rtp rtp/sdp core"
	arrows["api"]       = "core/base rtp rtp/sdp core"
	arrows["api/kurento"] = "core/base rtp rtp/sdp core api"
	arrows["main"]      = "core/base rtp rtp/sdp ice dtls core rtsp api api/kurento"
	# The one header of a folder that others include, with what it includes of its own folder. core/base: all of them.
	for (folder in arrows)
		front[folder] = folder "/" folder ".h"
	front["rtp/sdp"] = "rtp/sdp/sdp.h"
	front["api/kurento"] = "api/kurento/kurento.h"
	# It stands on api/'s connections and JSON, and on what its requests are judged by.
	more_of_api = "api/api_int.h api/json.h api/ws.h"

	# Foreign libraries: the beginning of a header's name, and the folders or single files that may include it.
	lib("mbedtls/",      "dtls api core/base/digest.c core/base/rng.c core/base/mem.c")
	lib("psa/",          "dtls")
	lib("srtp2/",        "dtls")
	lib("intel-ipsec-mb.h", "dtls")
	lib("uv.h",          "core api api/kurento main")
	lib("yaml.h",        "core")
	lib("libwebsockets.h", "api")
	lib("cjson/",        "api api/kurento")
	lib("libavcodec/",   "codecs record")
	lib("libavformat/",  "record")
	lib("libavutil/",    "codecs record")
	lib("libswscale/",   "codecs")
	lib("libswresample/", "codecs")
	lib("sanitizer/",    "core/base")

	# The rest of the angle brackets is libc and the system.
	system_dirs = "^(sys|net|netinet|arpa|linux)/[a-z0-9_]+\\.h$"
	n = split("assert ctype dirent dlfcn endian errno fcntl fenv float getopt grp ifaddrs inttypes limits locale malloc " \
		  "math netdb poll pthread pwd sched semaphore setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio " \
		  "stdlib stdnoreturn string strings syslog termios time unistd wchar", names, " ")
	for (i = 1; i <= n; i++)
		libc[names[i] ".h"] = 1

	# What an object of ice, dtls or rtp must not ask the linker for: sockets, clocks, randomness, threads, the loop,
	# printing, files, and the heap but through core/base/mem.h.
	forbidden = "^_*(socket|socketpair|bind|connect|listen|accept4?|shutdown|[gs]etsockopt|send|sendto|sendm?msg" \
		"|recv.*|poll|ppoll|select|epoll_.*|eventfd|ioctl|fcntl" \
		"|clock_.*|gettimeofday|time|times|localtime.*|mktime|nanosleep|usleep|sleep|timerfd_.*" \
		"|getrandom|getentropy|s?rand|s?random|rand_r|s?rand48|[delmn]rand48|arc4random.*" \
		"|pthread_.*|thrd_.*|mtx_.*|cnd_.*|sem_.*|fork|uv_.*" \
		"|[vfdsna]*printf(_chk)?|v?sn?printf(_chk)?|f?put[cs]|putchar|perror|syslog|fopen|fwrite|fflush|open|write|read" \
		"|malloc|calloc|realloc|reallocarray|strdup|strndup|posix_memalign|aligned_alloc|getenv)$"
}

function lib(prefix, folders)
{
	libs[prefix] = folders
}

function module(path,    parts)
{
	if (path == "core/main.c")
		return "main"
	if (path ~ /^core\/base\//)
		return "core/base"
	if (path ~ /^rtp\/sdp\//)
		return "rtp/sdp"
	if (path ~ /^api\/kurento\//)
		return "api/kurento"
	split(path, parts, "/")
	return path ~ /\// ? parts[1] : ""
}

function among(word, list)
{
	return index(" " list " ", " " word " ") > 0
}

function complain(where, what)
{
	printf "%s: %s\n", where, what
	bad = 1
}

function foreign(file, header,    prefix)
{
	if (header in libc || header ~ system_dirs)
		return
	for (prefix in libs)
		if (index(header, prefix) == 1) {
			if (!among(module(file), libs[prefix]) && !among(file, libs[prefix]))
				complain(file ":" FNR, "<" header "> belongs to " libs[prefix])
			return
		}
	complain(file ":" FNR, "<" header "> is of no library known here; tests/layers.awk lists them")
}

FILENAME ~ /\.nm$/ {
	symbol = $NF
	sub(/@.*/, "", symbol)
	if ($(NF - 1) == "U" && symbol ~ forbidden)
		complain(substr($1, 1, length($1) - 1), "no IO, clock, randomness, thread, printing or heap of its own here, but it uses " symbol "()")
	next
}

/^[ \t]*#[ \t]*include/ {
	rest = $0
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", rest)
	if (rest ~ /^</) {
		sub(/^</, "", rest)
		sub(/>.*/, "", rest)
		foreign(FILENAME, rest)
	} else if (rest ~ /^"/) {
		split(rest, quoted, "\"")
		count++
		from[count] = FILENAME
		line[count] = FNR
		to[count] = quoted[2]
	} else {
		complain(FILENAME ":" FNR, "an include names its file")
	}
}

# What a folder's front header brings along from its own folder may be included by name as well.
function open_fronts(    folder, i, grew)
{
	for (folder in front)
		public[front[folder]] = 1
	do {
		grew = 0
		for (i = 1; i <= count; i++)
			if (from[i] in public && !(to[i] in public) && module(from[i]) == module(to[i])) {
				public[to[i]] = 1
				grew = 1
			}
	} while (grew)
}

function check(i,    a, b, where)
{
	a = module(from[i])
	b = module(to[i])
	where = from[i] ":" line[i]
	if (!(b in arrows))
		complain(where, "\"" to[i] "\" is not named from the root, or of no module")
	else if (a == b || (a == "main" && b == "core"))
		return
	else if (!(a in arrows) || !among(b, arrows[a]))
		complain(where, a "/ may not include " to[i])
	else if (a == "api/kurento" && among(to[i], more_of_api))
		return
	else if (b != "core/base" && !(to[i] in public))
		complain(where, to[i] " is private to " b "/; include " front[b])
}

END {
	open_fronts()
	for (i = 1; i <= count; i++)
		check(i)
	exit bad
}
