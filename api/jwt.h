/* SPDX-License-Identifier: Apache-2.0
 * api/jwt.h — join tokens: a back end signs who may do what in which room, and hands that to its
 * user. What:      reads and makes JSON Web Tokens with HS256 and nothing else. RFCs:      7519
 * (JWT), 7515 (JWS, compact), 7518 section 3.2 (HS256), 8725 (what went wrong elsewhere). Claims:
 * room, participant: names as in a path. rights: ["publish", "subscribe", "admin"], or an object of
 * booleans
 *            {"publish": true}. exp: seconds since 1970, required. nbf, iat: optional. Others are
 * ignored, but aud: RFC 7519 section 4.1.3 forbids a token for somebody else, and we have no name
 * to be called by. Deviates:  RFC 7518 asks for a key of 32 bytes; 16 are enough here, since a key
 * may be a text that people typed. nbf may lie up to API_JWT_SKEW_S ahead, for a back end whose
 * clock is ahead of ours; exp has no such grace. Order:     the signature is checked before one
 * byte of what is signed is decoded. Which algorithm the header names has no say in how: a header
 * that does not name HS256 is refused after that. Start at:  api_jwt_read(). */
#ifndef SL_API_JWT_H
#define SL_API_JWT_H
#include "api/json.h"

enum { API_JWT_MAX = 4096, API_JWT_KEY_MIN = 16, API_JWT_NAME_MAX = 256, API_JWT_SKEW_S = 30 };
enum { API_JWT_PUBLISH = 1, API_JWT_SUBSCRIBE = 2, API_JWT_ADMIN = 4 };

struct api_jwt {
	char room[API_JWT_NAME_MAX + 1], participant[API_JWT_NAME_MAX + 1];
	uint32_t rights; /* API_JWT_PUBLISH and so on */
	int64_t exp_wall_us;
};

/* wall_us: microseconds since 1970. SL_EAUTH: not signed with this key, over, or not yet valid;
 * SL_EPARSE: not such a token at all; SL_EUNSUPPORTED: another algorithm, or an extension or
 * audience that we do not know; SL_ENOTFOUND, SL_ERANGE, SL_EFULL: a claim is missing or wrong;
 * SL_ENOMEM. All but the last mean 401. *why is filled, without the token in it. SL_ESTATE: the key
 * is shorter than API_JWT_KEY_MIN, and no token is good. */
SL_MUST_USE int api_jwt_read(struct sl_str key, struct sl_str token, int64_t wall_us,
			     struct api_jwt *out, struct api_json_why *why);
/* Writes a token (NUL-terminated) and returns its length. iat is wall_us, exp is cut to whole
 * seconds. SL_ERANGE: a name or a right that no token can have, or exp not after wall_us; SL_ESTATE
 * as above; SL_EFULL, SL_ENOMEM. */
SL_MUST_USE int api_jwt_make(struct sl_str key, const struct api_jwt *claims, int64_t wall_us,
			     char *out, size_t cap);
#endif
