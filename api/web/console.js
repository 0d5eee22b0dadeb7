// SPDX-License-Identifier: Apache-2.0
// The console: a page to join from, and the room. All that is spoken with the server is spoken by sluice.js.
// Address: ?room=NAME&name=NAME, ?synthetic=1 for a drawn picture and a tone (?size=160x90&fps=5), #token=TOKEN.
// `window.sluice` shows the room to tests and to the curious.
import { join } from './sluice.js';
import { Devices, levelMeter } from './devices.js';
import { Stage } from './tiles.js';

const STATS_MS = 1000;
const TOAST_MS = 5000;
const BACK_MS = 5000;
const MAX_BPS = { camera: 1_700_000, screen: 2_500_000 };

const $ = (id) => document.getElementById(id);
const params = new URLSearchParams(location.search);
const devices = new Devices({ video: $('camera'), audio: $('microphone') }, $('device-note'), params);
const stage = new Stage($('stage'), $('tile'), onShown);

/** @type {import('./sluice.js').Room|null} */
let room = null;
let mic = null, cam = null, screen = null, screenSound = null;      // LocalTracks
let stopMeter = () => {};
let ended = '';

// ================= before joining =================

function checkName(input) {
	const text = input.value.trim();
	const bad = /[/+\u0000-\u001f\u007f]/.test(text) || /^\.{0,2}$/.test(text);
	input.setCustomValidity(bad ? 'Type 1 to 64 characters without / or +; not . or ..' : '');
}

function icon(button, name, off, label) {
	const text = button.querySelector('span');
	button.querySelector('use').setAttribute('href', `#i-${name}${off ? '-off' : ''}`);
	button.classList.toggle('off', off);
	if (text)
		text.textContent = label;
	else
		button.setAttribute('aria-label', label);
}

function showSwitches() {
	const on = { audio: devices.on.audio && devices.value('audio') !== 'none', video: devices.on.video && devices.value('video') !== 'none' };
	for (const button of ['preview-mic', 'mic'])
		icon($(button), 'mic', !on.audio, on.audio ? 'Mute' : 'Unmute');
	for (const button of ['preview-cam', 'cam'])
		icon($(button), 'cam', !on.video, on.video ? 'Camera off' : 'Camera on');
}

function showPreview() {
	const track = devices.track('video');
	const video = $('preview');
	if (track !== (video.srcObject && video.srcObject.getTracks()[0]))
		video.srcObject = track ? new MediaStream([track]) : null;
	video.classList.toggle('mirror', devices.value('video') !== 'synthetic');
	$('preview-empty').hidden = !!track;
	stopMeter();
	const sound = devices.track('audio');
	stopMeter = sound && devices.on.audio ? levelMeter(sound, $('level')) : () => {};
	if (!sound || !devices.on.audio)
		$('level').value = 0;
}

function stopPreview() {
	stopMeter();
	stopMeter = () => {};
	$('preview').srcObject = null;
}

async function turn(kind) {
	if (devices.value(kind) === 'none')
		await devices.choose(kind, $(kind === 'video' ? 'camera' : 'microphone').options[0].value, true);
	await devices.turnOn(kind, !(devices.on[kind] && devices.track(kind)));
}

function token() {
	return $('token').value || new URLSearchParams(location.hash.slice(1)).get('token') || sessionStorage.getItem('sluice.token') || '';
}

// The session's token outlives a reload, so that the name is not taken by the page as it was before.
const lifeOf = (roomName, name) => `sluice.life ${roomName} ${name}`;

async function enter(e) {
	e.preventDefault();
	const name = $('name').value.trim(), roomName = $('room').value.trim();
	localStorage.setItem('sluice.name', name);
	if ($('token').value)
		sessionStorage.setItem('sluice.token', $('token').value);
	params.set('room', roomName);
	history.replaceState(null, '', `?${params}${location.hash}`);
	$('join').disabled = true;
	$('join').textContent = 'Joining…';
	$('refusal').hidden = true;
	try {
		await devices.rename(name);
		room = await join({ room: roomName, participant: name, token: token(), replace: sessionStorage.getItem(lifeOf(roomName, name)) });
		sessionStorage.setItem(lifeOf(room.name, room.participant), room.token);
		await entered();
	} catch (error) {
		refused(error);
	}
	$('join').disabled = false;
	$('join').textContent = 'Join';
}

function refused(error) {
	const wantsToken = error.status === 401 || error.status === 403;
	if (room)
		room.leave();
	room = null;
	if (wantsToken) {
		$('token-field').hidden = false;
		$('token').focus();
	}
	tellRefusal(error.status === 401 ? 'The server wants an access token.' : error.message);
	if (error.code === 'name_taken' || error.status === 409)
		$('name').select();
}

function tellRefusal(text) {
	$('refusal').textContent = text;
	$('refusal').hidden = !text;
}

// ================= in the room =================

async function entered() {
	stopPreview();
	ended = '';
	$('lobby').hidden = true;
	$('call').hidden = false;
	$('room-name').textContent = room.name;
	document.title = `${room.name} · sluice`;
	for (const event of ['joined', 'left', 'trackadded', 'trackremoved', 'trackchanged', 'media', 'localtrack'])
		room.addEventListener(event, sync);
	room.addEventListener('joined', (e) => toast(`${e.detail.participant.name} joined.`));
	room.addEventListener('left', (e) => toast(`${e.detail.participant.name} left.`));
	room.addEventListener('localtrack', (e) => byServer(e.detail));
	room.addEventListener('speaker', (e) => stage.setSpeaker(e.detail.participant));
	room.addEventListener('state', (e) => tellState(e.detail));
	room.addEventListener('error', (e) => toast(e.detail.error.message));
	room.addEventListener('closed', (e) => left(e.detail.error));
	tellState({ state: 'connected' });
	sync();
	$('mic').focus();
	if (!room.rights.includes('publish')) {
		['mic', 'cam', 'share'].forEach((id) => { $(id).disabled = true; });
		return;
	}
	await publishDevices();
}

async function publishDevices() {
	const wanted = [];
	if (devices.track('audio'))
		wanted.push({ track: devices.track('audio'), source: 'microphone', muted: !devices.on.audio });
	if (devices.track('video'))
		wanted.push({ track: devices.track('video'), source: 'camera', maxBps: MAX_BPS.camera });
	if (!wanted.length)
		return;
	const now = room;
	const made = await now.publish(wanted).catch((error) => toast(`Nothing of yours is sent. ${error.message}`));
	for (const local of made || [])
		if (local.kind === 'audio')
			mic = local;
		else
			cam = local;
	sync();
}

// A device was chosen, switched on or off while in the room.
async function deviceChanged(kind) {
	if (!room || !room.rights.includes('publish'))
		return;
	const track = devices.track(kind);
	const off = !track || !devices.on[kind];
	const local = kind === 'audio' ? mic : cam;
	if (local) {
		await local.replace(track);
		if (local.muted !== off)
			local.mute(off);
	} else if (!off)
		await publishDevice(kind, track);
	sync();
}

async function publishDevice(kind, track) {
	const source = kind === 'audio' ? 'microphone' : 'camera';
	const [local] = await room.publish({ track, source, maxBps: MAX_BPS[source] }).catch((error) => {
		toast(`It is not sent. ${error.message}`);
		return [];
	});
	if (kind === 'audio')
		mic = local || null;
	else
		cam = local || null;
}

// Muted or ended by somebody who may: say so, and show the switch as it is.
function byServer({ track: local, error }) {
	const what = { microphone: 'Your microphone', camera: 'Your camera', screen: 'Your screen' }[local.source] || 'A track of yours';
	if (!error)     // with one, the error itself is told
		toast(`${what} was ${local.ended ? 'ended' : local.muted ? 'switched off' : 'allowed again'} by the room.`);
	if (local === mic || local === cam) {
		devices.on[local.kind] = !local.muted && !local.ended;
		if (local.ended)
			mic = local === mic ? null : mic, cam = local === cam ? null : cam;
		showSwitches();
	} else if (local.ended)
		endShare();
}

async function share() {
	if (screen) {
		endShare();
		return;
	}
	let stream;
	try {
		stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio: true });
	} catch (e) {
		if (e.name !== 'NotAllowedError')
			toast('This browser cannot share its screen.');
		return;
	}
	const [video] = stream.getVideoTracks(), [audio] = stream.getAudioTracks();
	video.contentHint = 'detail';
	video.onended = endShare;
	const wanted = [{ track: video, source: 'screen', maxBps: MAX_BPS.screen }];
	if (audio)
		wanted.push({ track: audio, source: 'screen' });
	const made = await room.publish(wanted).catch((error) => toast(`The screen is not shared. ${error.message}`));
	[screen, screenSound] = made || [];
	if (!made)
		stream.getTracks().forEach((t) => t.stop());
	showShare();
}

function endShare() {
	for (const local of [screen, screenSound]) {
		local?.media?.stop();
		local?.unpublish();
	}
	screen = screenSound = null;
	showShare();
}

function showShare() {
	$('share').classList.toggle('on', !!screen);
	$('share').querySelector('span').textContent = screen ? 'Stop sharing' : 'Share';
	sync();
}

// ================= tiles =================

let syncing = false;
function sync() {
	if (syncing)
		return;
	syncing = true;
	queueMicrotask(() => {
		syncing = false;
		if (room)
			showTiles();
	});
}

function tileOf(name, own, tracks, isScreen) {
	const of = (kind) => tracks.find((t) => t.kind === kind && (t.source === 'screen') === isScreen);
	const audio = of('audio'), video = of('video');
	return [`${isScreen ? 'screen' : 'person'} ${name}`, {
		name, own, screen: isScreen,
		mirror: own && !isScreen && devices.value('video') !== 'synthetic',
		audio: audio ? audio.media : null,
		video: video ? video.media : null,
		silent: !isScreen && (!audio || audio.muted),
		dark: !video || video.muted,
	}];
}

function tilesOf(name, own, tracks) {
	const list = [tileOf(name, own, tracks, false)];
	if (tracks.some((t) => t.source === 'screen' && t.kind === 'video'))
		list.push(tileOf(name, own, tracks, true));
	return list;
}

function showTiles() {
	const list = tilesOf(room.participant, true, [...room.localTracks]);
	for (const p of room.participants.values())
		list.push(...tilesOf(p.name, false, [...p.tracks.values()]));
	stage.show(list);
	const n = room.participants.size + 1;
	$('people').textContent = n === 1 ? '1 person' : `${n} people`;
	$('alone').hidden = n > 1;
}

// A picture that is not shown is not received either.
function onShown(keys, hidden) {
	if (!room)
		return;
	for (const p of room.participants.values())
		for (const t of p.tracks.values())
			if (t.kind === 'video')
				room.pause(t, !keys.has(`${t.source === 'screen' ? 'screen' : 'person'} ${p.name}`));
	const n = room.participants.size + 1;
	$('people').textContent = `${n === 1 ? '1 person' : `${n} people`}${hidden ? `, ${hidden} not shown` : ''}`;
}

// ================= what a person is told =================

function tellState({ state, reason, attempt }) {
	const was = $('status').dataset.state;
	clearTimeout(tellState.timer);
	$('status').dataset.state = state;
	if (state === 'reconnecting')
		$('status').textContent = `${reason} Trying to come back${attempt > 2 ? `, attempt ${attempt}` : ''}…`;
	else if (state === 'connected') {
		$('status').textContent = was === 'reconnecting' ? 'The connection is back.' : 'Connected';
		tellState.timer = setTimeout(() => { $('status').textContent = 'Connected'; }, BACK_MS);
	}
}

function toast(text) {
	const p = document.createElement('p');
	p.textContent = text;
	$('toasts').append(p);
	while ($('toasts').children.length > 4)
		$('toasts').firstChild.remove();
	setTimeout(() => p.remove(), TOAST_MS);
}

const rate = (bps) => (bps >= 999_500 ? `${(bps / 1e6).toFixed(1)} Mb/s` : `${Math.round(bps / 1000)} kb/s`);
const percent = (part) => (part === null ? '–' : `${(part * 100).toFixed(1)} %`);

async function showNumbers() {
	if (!room || room.state === 'closed' || !room.pc)
		return;
	const s = await room.stats();
	const loss = s.sendLoss === null && s.receiveLoss === null ? null : Math.max(s.sendLoss || 0, s.receiveLoss || 0);
	$('n-sent').textContent = rate(s.sendBps);
	$('n-received').textContent = rate(s.receiveBps);
	$('n-loss').textContent = percent(loss);
	$('n-loss').title = `up ${percent(s.sendLoss)}, down ${percent(s.receiveLoss)}`;
	$('n-rtt').textContent = s.rttMs === null ? '–' : `${Math.max(1, Math.round(s.rttMs))} ms`;
}

function invite() {
	const link = new URL(`?room=${encodeURIComponent(room.name)}`, location.href);
	link.hash = '';
	navigator.clipboard?.writeText(link.href).then(() => toast('The link is copied.'), () => prompt('The link to this room:', link.href));
	if (!navigator.clipboard)
		prompt('The link to this room:', link.href);
}

// ================= leaving =================

function left(error) {
	if (!room)
		return;
	sessionStorage.removeItem(lifeOf(room.name, room.participant));
	room = null;
	for (const local of [screen, screenSound])
		local?.media?.stop();
	mic = cam = screen = screenSound = null;
	showShare();
	stage.clear();
	$('toasts').replaceChildren();
	if ($('dialog').open)
		$('dialog').close();
	$('call').hidden = true;
	$('lobby').hidden = false;
	document.title = 'sluice';
	tellRefusal(ended || error.message);
	showPreview();
	$('join').focus();
}

function leave() {
	ended = `You have left room ${room.name}.`;
	room.leave();
}

// The selects are one set: in the page before joining, in the dialog later.
function openDialog() {
	$('dialog-body').append($('devices'));
	$('dialog').showModal();
}

function start() {
	$('name').value = params.get('name') || localStorage.getItem('sluice.name') || '';
	$('room').value = params.get('room') || 'lobby';
	for (const id of ['name', 'room']) {
		checkName($(id));
		$(id).oninput = () => checkName($(id));
	}
	$('setup').onsubmit = enter;
	$('preview-mic').onclick = $('mic').onclick = () => turn('audio');
	$('preview-cam').onclick = $('cam').onclick = () => turn('video');
	$('share').onclick = share;
	$('share').hidden = !navigator.mediaDevices?.getDisplayMedia;
	$('tune').onclick = openDialog;
	$('dialog').onclose = () => $('setup').append($('devices'));
	$('leave').onclick = leave;
	$('invite').onclick = invite;
	$('hear').onclick = () => {
		$('hear').hidden = true;
		document.querySelectorAll('#stage audio, #stage video').forEach((m) => m.play().catch(() => {}));
	};
	$('stage').addEventListener('silenced', () => { $('hear').hidden = false; });
	devices.addEventListener('change', (e) => {
		showSwitches();
		if (!room)
			showPreview();
		deviceChanged(e.detail.kind);
	});
	addEventListener('pagehide', () => {
		if (!room)
			return;
		const life = [lifeOf(room.name, room.participant), room.token];
		room.leave();
		sessionStorage.setItem(...life);
	});
	setInterval(showNumbers, STATS_MS);
	showSwitches();
	devices.start();
	if (!$('name').value)
		$('name').focus();
	window.sluice = { devices, stage, get room() { return room; }, stats: () => room.stats() };
}

start();
