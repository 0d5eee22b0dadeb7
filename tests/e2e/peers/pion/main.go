// SPDX-License-Identifier: Apache-2.0

// Pion, which has no codecs: publishes RTP that comes to two ports of its own, or sends what it gets to the two ports
// named. pion publish URL; pion play URL VIDEO_PORT AUDIO_PORT.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v3"
)

const (
	videoPayloadType = 96
	audioPayloadType = 111
	pliEvery         = time.Second
)

var (
	vp8  = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
	opus = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// feed publishes the RTP that comes to a port of loopback, and returns that port.
func feed(pc *webrtc.PeerConnection, codec webrtc.RTPCodecCapability, name string) int {
	track, err := webrtc.NewTrackLocalStaticRTP(codec, name, "pion")
	must(err)
	_, err = pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	must(err)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(err)
	go func() {
		buf := make([]byte, 1600)
		for {
			n, err := conn.Read(buf)
			must(err)
			if _, err = track.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// forward sends a track's packets to a port of loopback. Key frames are asked for again and again: the decoder may have
// started after the first.
func forward(pc *webrtc.PeerConnection, track *webrtc.TrackRemote, port string, payloadType uint8) {
	conn, err := net.Dial("udp4", "127.0.0.1:"+port)
	must(err)
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		go func() {
			for range time.Tick(pliEvery) {
				if pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}}) != nil {
					return
				}
			}
		}()
	}
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		packet.PayloadType = payloadType
		packet.Extension, packet.Extensions = false, nil
		raw, err := packet.Marshal()
		must(err)
		_, _ = conn.Write(raw) // refused while the decoder is not there yet
	}
}

func play(pc *webrtc.PeerConnection, videoPort, audioPort string) {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		_, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly})
		must(err)
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			forward(pc, track, videoPort, videoPayloadType)
		} else {
			forward(pc, track, audioPort, audioPayloadType)
		}
	})
}

// open posts the offer; the session's address and the answer come back.
func open(where string, offer string) (string, string) {
	response, err := http.Post(where, "application/sdp", strings.NewReader(offer))
	must(err)
	answer, err := io.ReadAll(response.Body)
	must(err)
	if response.StatusCode != http.StatusCreated {
		log.Fatalf("%s: %s", response.Status, answer)
	}
	base, err := url.Parse(where)
	must(err)
	location, err := base.Parse(response.Header.Get("Location"))
	must(err)
	return location.String(), string(answer)
}

func remove(location string) {
	request, err := http.NewRequest(http.MethodDelete, location, nil)
	must(err)
	response, err := http.DefaultClient.Do(request)
	must(err)
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotFound {
		log.Fatal(response.Status)
	}
}

// engine knows VP8 and Opus only, so that the far end sends what the decoder is set up for.
func engine() *webrtc.API {
	media := &webrtc.MediaEngine{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}
	video := vp8
	video.RTCPFeedback = feedback
	must(media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: video, PayloadType: videoPayloadType}, webrtc.RTPCodecTypeVideo))
	must(media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: audioPayloadType}, webrtc.RTPCodecTypeAudio))
	return webrtc.NewAPI(webrtc.WithMediaEngine(media))
}

func main() {
	ending := make(chan os.Signal, 1)
	signal.Notify(ending, syscall.SIGTERM)
	pc, err := engine().NewPeerConnection(webrtc.Configuration{BundlePolicy: webrtc.BundlePolicyMaxBundle})
	must(err)
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) { fmt.Printf("{\"state\":%q}\n", s.String()) })
	if os.Args[1] == "publish" {
		audio := feed(pc, opus, "audio")
		video := feed(pc, vp8, "video")
		fmt.Printf("{\"feed\":{\"video\":%d,\"audio\":%d}}\n", video, audio)
	} else {
		play(pc, os.Args[3], os.Args[4])
	}
	offer, err := pc.CreateOffer(nil)
	must(err)
	gathered := webrtc.GatheringCompletePromise(pc)
	must(pc.SetLocalDescription(offer))
	<-gathered
	location, answer := open(os.Args[2], pc.LocalDescription().SDP)
	must(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	<-ending
	remove(location)
	must(pc.Close())
}
