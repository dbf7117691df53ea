<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use RuntimeException;
use stdClass;

/**
 * Conversations as files, one each, in one directory that Python's store (voxgate_responder.endpoints.store) can
 * share: the same names, the same content, the same lock.
 *
 * A name is an id, so it holds no dot and no slash; a file is written whole under another name and then renamed.
 */
final class ConversationStore
{
    /** Conversations in one directory; a further one is refused. */
    public const MAX_CONVERSATIONS = 10000;

    /** Turns in one conversation; a further one is refused. */
    public const MAX_TURNS = 1000;

    /** Characters of the first turn that become the title. */
    private const TITLE = 60;

    private const LOCK = '.lock';

    public function __construct(private readonly string $directory)
    {
    }

    /** Whether conversations can be kept now. */
    public function works(): bool
    {
        return is_dir($this->directory) && is_writable($this->directory);
    }

    /** An id that nobody can guess; ids made here sort by their time. */
    public static function newId(): string
    {
        return sprintf('conv_%012x_%s', (int) (microtime(true) * 1000), bin2hex(random_bytes(8)));
    }

    /**
     * One page of summaries, in the order of their ids.
     *
     * @return array{list<stdClass>, string|null} the page, and the cursor of the next one
     */
    public function page(int $limit, string $after): array
    {
        return $this->locked(LOCK_SH, function () use ($limit, $after): array {
            $ids = array_values(array_filter($this->ids(), static fn (string $id): bool => strcmp($id, $after) > 0));
            $shown = fn (string $id): stdClass => self::summary($this->read($id));
            $page = array_map($shown, array_slice($ids, 0, $limit));
            return [$page, count($ids) > $limit ? $ids[$limit - 1] : null];
        });
    }

    /** @throws Refusal not_found */
    public function get(string $id): stdClass
    {
        return $this->locked(LOCK_SH, fn (): stdClass => $this->read($id));
    }

    /** @throws Refusal not_found */
    public function delete(string $id): void
    {
        $this->locked(LOCK_EX, function () use ($id): void {
            $this->read($id);
            if (!unlink($this->path($id))) {
                throw new RuntimeException('a conversation could not be deleted');
            }
        });
    }

    /**
     * Add turns, and make the conversation if there is none. A turn whose id is there already is left out.
     *
     * @param list<stdClass> $turns with `id`, `role`, `text`, `at`, and perhaps `intent`
     * @throws Refusal conflict when the conversation is full, capacity_exceeded when the directory is
     */
    public function append(string $id, array $turns): void
    {
        $this->locked(LOCK_EX, function () use ($id, $turns): void {
            if (is_file($this->path($id))) {
                $conversation = $this->read($id);
            } elseif (count($this->ids()) >= self::MAX_CONVERSATIONS) {
                throw new Refusal('capacity_exceeded', 'No more conversations can be kept: delete some');
            } else {
                preg_match('/^.{0,' . self::TITLE . '}/us', $turns[0]->text, $title);
                $conversation = (object) [
                    'id' => $id,
                    'title' => $title[0],
                    'createdAt' => $turns[0]->at,
                    'updatedAt' => $turns[0]->at,
                    'turns' => [],
                ];
            }
            $known = array_column($conversation->turns, 'id');
            foreach ($turns as $turn) {
                if (!in_array($turn->id, $known, true)) {
                    $conversation->turns[] = $turn;
                    $conversation->updatedAt = $turn->at;
                }
            }
            if (count($conversation->turns) > self::MAX_TURNS) {
                throw new Refusal('conflict', 'The conversation is full: start another');
            }
            $this->write($conversation);
        });
    }

    /** A conversation as a list shows it. */
    public static function summary(stdClass $conversation): stdClass
    {
        return (object) [
            'id' => $conversation->id,
            'title' => $conversation->title,
            'createdAt' => $conversation->createdAt,
            'updatedAt' => $conversation->updatedAt,
            'turns' => count($conversation->turns),
        ];
    }

    /** @return list<string> */
    private function ids(): array
    {
        $ids = [];
        foreach (scandir($this->directory) ?: [] as $name) {
            if (preg_match('/^([A-Za-z0-9_-]{1,64})\.json$/D', $name, $found) === 1) {
                $ids[] = $found[1];
            }
        }
        sort($ids, SORT_STRING);
        return $ids;
    }

    private function read(string $id): stdClass
    {
        $path = $this->path($id);
        if (!is_file($path) || is_link($path)) {
            throw new Refusal('not_found', 'There is no conversation with this id');
        }
        $conversation = Json::decode((string) file_get_contents($path));
        return $conversation instanceof stdClass
            ? $conversation
            : throw new RuntimeException('a conversation is damaged');
    }

    private function write(stdClass $conversation): void
    {
        $path = $this->path($conversation->id);
        $fresh = $this->directory . '/.' . $conversation->id . '.new';
        $text = Json::encode($conversation);
        if (is_link($fresh) || file_exists($fresh)) {
            unlink($fresh); // left by a process that was killed, or a link somebody put there
        }
        $draft = fopen($fresh, 'x');
        $written = $draft !== false && chmod($fresh, 0600) && fwrite($draft, $text) === strlen($text) && fsync($draft);
        if ($draft !== false) {
            fclose($draft);
        }
        if (!$written || !rename($fresh, $path)) {
            throw new RuntimeException('a conversation could not be written');
        }
    }

    private function path(string $id): string
    {
        if (preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $id) !== 1) {
            throw new RuntimeException('an id that is no file name reached the store');
        }
        return "{$this->directory}/$id.json";
    }

    /**
     * @template T
     * @param callable(): T $work
     * @return T
     */
    private function locked(int $kind, callable $work): mixed
    {
        if (!$this->works()) {
            throw new Refusal('unavailable', 'Conversations cannot be kept now');
        }
        $lock = fopen($this->directory . '/' . self::LOCK, 'c');
        if ($lock === false || !flock($lock, $kind)) {
            throw new RuntimeException('the lock of the conversations cannot be taken');
        }
        try {
            return $work();
        } finally {
            fclose($lock);
        }
    }
}
