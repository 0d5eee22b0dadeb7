/* SPDX-License-Identifier: Apache-2.0
 * api/kurento/transaction.c — several calls in one request. Each is a call of its own; the next one
 * begins when the one before has its answer, and none after the first failure. Nothing is undone.
 */
#include "api/kurento/rpc.h"

enum { NEWREF_BYTES_MAX = API_WS_MESSAGE_MAX };

enum tx_state { TX_NEXT, TX_WAIT, TX_END };
struct kms_tx {
	struct kms_call *request; /* its `out` is the list of answers */
	struct kms_work work;
	const cJSON *next;	 /* operation, in the request */
	struct kms_span *values; /* owned: of the operations that are over, in request->out */
	size_t count, done;
	size_t spent; /* bytes that stood in for newref:N so far */
	enum tx_state state;
	bool running, operating;
};

void kms_tx_free(struct kms_tx *tx)
{
	kms_undefer(&tx->work);
	sl_free(tx->values);
	sl_free(tx);
}

/* ================= newref:N ================= */

/* Takes over what `from` holds; the place in the tree stays. */
static void become(cJSON *v, cJSON *from)
{
	cJSON_free(v->valuestring);
	v->type = from->type & 0xff;
	v->valuestring = from->valuestring;
	v->valueint = from->valueint;
	v->valuedouble = from->valuedouble;
	v->child = from->child;
	from->valuestring = NULL;
	from->child = NULL;
	cJSON_Delete(from);
}

/* False: the operation has failed. */
static bool stand_in(struct kms_tx *tx, struct kms_call *op, cJSON *v)
{
	struct sl_str index = sl_str_z(v->valuestring + strlen("newref:"));
	const struct kms_span *span;
	uint32_t n;
	cJSON *value;

	if (!sl_str_u32(index, UINT32_MAX, &n)) {
		kms_fail(op, KMS_MALFORMED_TRANSACTION, "Invalid index of newref '%.*s'",
			 SL_STR_ARG(index));
		return false;
	}
	span = n < tx->done ? &tx->values[n] : NULL;
	if (!span || !span->n) {
		kms_fail(op, KMS_MALFORMED_TRANSACTION, "Result not found on request %u", n);
		return false;
	}
	tx->spent += span->n;
	if (tx->spent > NEWREF_BYTES_MAX) {
		kms_fail(op, KMS_MALFORMED_TRANSACTION,
			 "The results referred to are longer than 1 MiB");
		return false;
	}
	value = cJSON_ParseWithLength(tx->request->out.b.p + span->at, span->n);
	if (!value) {
		kms_fail_err(op, SL_ENOMEM);
		return false;
	}
	become(v, value);
	return true;
}

/* As deep as a request may be. */
static bool resolve(struct kms_tx *tx, struct kms_call *op, cJSON *v)
{
	if (cJSON_IsString(v))
		return strncmp(v->valuestring, "newref:", 7) != 0 || stand_in(tx, op, v);
	for (cJSON *child = v ? v->child : NULL; child; child = child->next)
		if (!resolve(tx, op, child))
			return false;
	return true;
}

/* ================= one after the other ================= */

static void start(struct kms_tx *tx)
{
	struct kms_call *request = tx->request, *op;
	const cJSON *json = tx->next;
	cJSON *params = cJSON_GetObjectItemCaseSensitive(json, "params");
	int err =
		kms_call_new(request->kms, NULL, cJSON_GetObjectItemCaseSensitive(json, "id"), &op);

	if (err) {
		/* There is no answer to this one, so there is none to the whole. */
		request->out.err = err;
		tx->state = TX_END;
		return;
	}
	tx->next = json->next;
	tx->state = TX_WAIT;
	tx->operating = true;
	op->tx = tx;
	kms_call_set_session(op, request->session);
	memcpy(op->session_id, request->session_id, sizeof(op->session_id));
	if (!request->session)
		kms_fail(op, KMS_INVALID_SESSION, "Invalid session");
	else if (resolve(tx, op, params))
		kms_dispatch(op, json);
}

static void finish(struct kms_tx *tx)
{
	struct kms_call *request = tx->request;

	api_json_close_array(&request->out);
	if (request->out.err == SL_EFULL && tx->done < tx->count)
		kms_fail(request, KMS_NOT_ENOUGH_RESOURCES, "Too many requests are under way");
	else
		kms_done(request);
}

static void run(struct kms_tx *tx)
{
	tx->running = true;
	while (tx->state == TX_NEXT && tx->next)
		start(tx);
	tx->running = false;
	if (tx->state != TX_WAIT)
		finish(tx);
}

static void on_work(struct kms_work *w)
{
	run(SL_CONTAINER(w, struct kms_tx, work));
}

/* What an operation's function does after its answer must find its object: the next operation,
 * which may release it, begins when the function has returned. */
void kms_tx_done(struct kms_call *op, const struct kms_answer *a)
{
	struct kms_tx *tx = op->tx;
	struct kms_call *request = tx->request;
	struct kms *k = request->kms;

	tx->operating = false;
	if (!k) {
		kms_tx_free(tx);
		kms_call_free(request);
		kms_call_free(op);
		return;
	}
	if (!a->code && op->out.err)
		request->out.err = op->out.err;
	kms_put_answer(&request->out, op, a, &tx->values[tx->done]);
	tx->done++;
	tx->state = a->code || request->out.err ? TX_END : TX_NEXT;
	kms_call_free(op);
	if (!tx->running)
		kms_defer(k, &tx->work);
}

void kms_tx_orphan(struct kms_call *request)
{
	if (request->tx->operating)
		return;
	kms_tx_free(request->tx);
	kms_call_free(request);
}

/* ================= the request ================= */

/* Ids are 0, 1, 2, ... */
static bool well_formed(const cJSON *operations)
{
	const cJSON *op;
	int i = 0;

	cJSON_ArrayForEach(op, operations)
	{
		const cJSON *id = cJSON_GetObjectItemCaseSensitive(op, "id");

		if (!cJSON_IsNumber(id) || id->valuedouble != i++)
			return false;
	}
	return true;
}

void kms_transaction(struct kms_call *c)
{
	const cJSON *operations = cJSON_GetObjectItemCaseSensitive(c->params, "operations");
	struct kms_tx *tx;

	if (!cJSON_IsArray(operations)) {
		kms_fail_raw(c, RPC_SERVER, NULL, "'operations' parameter %s",
			     operations ? "should be an array" : "is required");
		return;
	}
	if (!well_formed(operations)) {
		kms_fail(c, KMS_MALFORMED_TRANSACTION,
			 "The ids of operations are not 0, 1, 2 and so on");
		return;
	}
	tx = sl_zalloc(sizeof(*tx));
	if (tx)
		tx->count = (size_t)cJSON_GetArraySize(operations);
	if (tx)
		tx->values = sl_zalloc_array(tx->count + 1, sizeof(*tx->values));
	if (!tx || !tx->values) {
		sl_free(tx);
		kms_fail_err(c, SL_ENOMEM);
		return;
	}
	tx->request = c;
	tx->next = operations->child;
	tx->work.fn = on_work;
	c->tx = tx;
	api_json_open_array(&c->out, NULL);
	run(tx);
}
