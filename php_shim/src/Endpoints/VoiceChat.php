<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use stdClass;
use Voxgate\Shim\Call;
use Voxgate\Shim\Dialogue;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Result;
use Voxgate\Shim\Schema;
use Voxgate\Shim\SharedData;

/**
 * Takes a voice event as the gateway's fan-out delivers it (legacy field: `accepted`), and answers a turn in text
 * otherwise (legacy fields: `reply`, `sessionId`). Transcripts are kept where there is a store.
 */
final class VoiceChat implements Endpoint
{
    private const TRANSCRIPT = 'voice.transcript.completed';

    public function answer(Call $call): Result
    {
        if ($call->isEvent) {
            return $this->take($call);
        }
        [$said, $id, $stored] = Dialogue::turn(
            $call->environment->store(),
            $call->body->text,
            $call->body->previousIntent ?? null,
            $call->body->sessionId ?? null,
        );
        return new Result(
            [...(array) $said, 'sessionId' => $id, 'stored' => $stored],
            ['reply' => $said->reply, 'sessionId' => $id],
        );
    }

    private function take(Call $call): Result
    {
        $event = $call->body;
        $store = $call->environment->store();
        $kept = $store !== null && $event->type === self::TRANSCRIPT && self::isTranscript($event->data);
        if ($kept) {
            $turn = ['id' => $event->id, 'role' => $event->data->role, 'text' => $event->data->text, 'at' => time()];
            $store->append($event->data->sessionId, [(object) $turn]);
        }
        $data = ['accepted' => true, 'eventId' => $event->id, 'type' => $event->type, 'stored' => $kept];
        return new Result($data, ['accepted' => true]);
    }

    private static function isTranscript(stdClass $data): bool
    {
        return Schema::fits(SharedData::load('transcript'), $data);
    }
}
