<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use stdClass;

/** One turn in text, answered, and kept where there is a store. */
final class Dialogue
{
    /** @return array{stdClass, string|null, bool} the answer, the id of the conversation, and whether it was kept */
    public static function turn(?ConversationStore $store, string $text, ?string $previousIntent, ?string $id): array
    {
        if ($store === null) {
            return [Donna::answer($text, $previousIntent), $id, false];
        }
        $answer = Donna::answer($text, $previousIntent ?? self::lastIntent($store, $id));
        $id ??= ConversationStore::newId();
        $now = time();
        $store->append($id, [
            (object) ['id' => self::turnId(), 'role' => 'user', 'text' => $text, 'at' => $now],
            (object) [
                'id' => self::turnId(),
                'role' => 'assistant',
                'text' => $answer->reply,
                'at' => $now,
                'intent' => $answer->intent,
            ],
        ]);
        return [$answer, $id, true];
    }

    private static function lastIntent(ConversationStore $store, ?string $id): ?string
    {
        try {
            $turns = $id === null ? [] : $store->get($id)->turns;
        } catch (Refusal $refusal) {
            return $refusal->errorCode === 'not_found' ? null : throw $refusal;
        }
        return $turns === [] ? null : ($turns[count($turns) - 1]->intent ?? null);
    }

    private static function turnId(): string
    {
        return 'turn_' . bin2hex(random_bytes(8));
    }
}
