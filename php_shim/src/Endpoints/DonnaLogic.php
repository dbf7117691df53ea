<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use Voxgate\Shim\Call;
use Voxgate\Shim\Dialogue;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Result;

/** Answers one turn in text. Legacy fields: `reply`, `intent`. */
final class DonnaLogic implements Endpoint
{
    public function answer(Call $call): Result
    {
        [$said, $id, $stored] = Dialogue::turn(
            $call->environment->store(),
            $call->body->text,
            $call->body->previousIntent ?? null,
            $call->body->conversationId ?? null,
        );
        return new Result(
            [...(array) $said, 'conversationId' => $id, 'stored' => $stored],
            ['reply' => $said->reply, 'intent' => $said->intent],
        );
    }
}
