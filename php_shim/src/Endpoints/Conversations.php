<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use stdClass;
use Voxgate\Shim\Call;
use Voxgate\Shim\ConversationStore;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Refusal;
use Voxgate\Shim\Result;
use Voxgate\Shim\SharedData;

/**
 * Lists (legacy fields: `conversations`, `nextCursor`), reads (`conversation`, `messages`) and deletes (`deleted`).
 *
 * Without a store the conversations are fixtures, and said to be; they cannot be deleted.
 */
final class Conversations implements Endpoint
{
    private const LIMIT = 20;

    public function answer(Call $call): Result
    {
        $store = $call->environment->store();
        if ($call->method === 'DELETE') {
            return $this->delete($store, $call->query->id);
        }
        return isset($call->query->id)
            ? $this->read($store, $call->query->id)
            : $this->page($store, (int) ($call->query->limit ?? self::LIMIT), $call->query->cursor ?? '');
    }

    private function page(?ConversationStore $store, int $limit, string $after): Result
    {
        if ($store === null) {
            $rest = array_filter(self::fixtures(), static fn (stdClass $one): bool => strcmp($one->id, $after) > 0);
            $page = array_map(ConversationStore::summary(...), array_slice(array_values($rest), 0, $limit));
            $next = count($rest) > $limit ? $page[$limit - 1]->id : null;
        } else {
            [$page, $next] = $store->page($limit, $after);
        }
        $legacy = ['conversations' => $page, 'nextCursor' => $next];
        return new Result([...$legacy, 'fixture' => $store === null], $legacy);
    }

    private function read(?ConversationStore $store, string $id): Result
    {
        $found = $store === null ? self::fixture($id) : $store->get($id);
        $messages = array_map(
            static fn (stdClass $turn): array => ['role' => $turn->role, 'content' => $turn->text],
            $found->turns,
        );
        $data = ['conversation' => $found, 'fixture' => $store === null];
        return new Result($data, ['conversation' => $found, 'messages' => $messages]);
    }

    private function delete(?ConversationStore $store, string $id): Result
    {
        if ($store === null) {
            self::fixture($id);
            throw new Refusal('unavailable', 'Fixtures cannot be deleted: give the endpoints a store');
        }
        $store->delete($id);
        return new Result(['deleted' => $id], ['deleted' => $id]);
    }

    private static function fixture(string $id): stdClass
    {
        foreach (self::fixtures() as $one) {
            if ($one->id === $id) {
                return $one;
            }
        }
        throw new Refusal('not_found', 'There is no conversation with this id');
    }

    /** @return list<stdClass> */
    private static function fixtures(): array
    {
        return SharedData::load('conversations')->conversations;
    }
}
