/* A camera for machines without one: preloaded (LD_PRELOAD), it answers for /dev/video0 in place of the kernel, by the V4L2 interface that OpenCV
 * speaks. It gives 640 x 480 pictures at 25 a second, of brightness 60 + n; after UNPLUG_AFTER pictures it is gone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NEXT(function) ((typeof(&function))dlsym(RTLD_NEXT, #function))

enum { WIDTH = 640, HEIGHT = 480, BYTES = WIDTH * HEIGHT * 2, PERIOD_NS = 40000000, PAGE = 4096, MAX_BUFFERS = 32 };

static int camera = -1; /* a timer, so that select() finds it readable whenever a picture is due */
static int num_pictures;
static uint8_t *buffers[MAX_BUFFERS];
static int queue[MAX_BUFFERS];
static int num_queued;

static int plug_in(void) {
    struct itimerspec period = {{0, PERIOD_NS}, {0, PERIOD_NS}};
    camera = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    timerfd_settime(camera, 0, &period, NULL);
    num_pictures = num_queued = 0;
    return camera;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return strcmp(path, "/dev/video0") ? NEXT(open)(path, flags, mode) : plug_in();
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return strcmp(path, "/dev/video0") ? NEXT(open64)(path, flags, mode) : plug_in();
}

int close(int file) {
    if (file == camera) camera = -1;
    return NEXT(close)(file);
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    if (file < 0 || file != camera) return NEXT(mmap)(address, length, protection, flags, file, offset);
    return buffers[offset / PAGE] = NEXT(mmap)(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *mmap64(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    return mmap(address, length, protection, flags, file, offset);
}

static int fail(int error) {
    errno = error;
    return -1;
}

static int take_picture(struct v4l2_buffer *buffer) {
    uint64_t ticks;
    const char *unplug_after = getenv("UNPLUG_AFTER");
    if (unplug_after && num_pictures >= atoi(unplug_after)) return fail(ENODEV);
    if (!num_queued || read(camera, &ticks, sizeof ticks) != sizeof ticks) return fail(EAGAIN);
    buffer->index = queue[0];
    memmove(queue, queue + 1, --num_queued * sizeof *queue);
    for (int byte = 0; byte < BYTES; byte += 2) {
        buffers[buffer->index][byte] = 60 + num_pictures % 100;
        buffers[buffer->index][byte + 1] = 128;
    }
    buffer->bytesused = buffer->length = BYTES;
    buffer->sequence = num_pictures++;
    buffer->field = V4L2_FIELD_NONE;
    return 0;
}

int ioctl(int file, unsigned long request, ...) {
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    if (file < 0 || file != camera) return NEXT(ioctl)(file, request, argument);
    switch ((unsigned int)request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *camera_can = argument;
        camera_can->capabilities = camera_can->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    }
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT: {
        struct v4l2_pix_format *picture = &((struct v4l2_format *)argument)->fmt.pix;
        picture->width = WIDTH;
        picture->height = HEIGHT;
        picture->pixelformat = V4L2_PIX_FMT_YUYV;
        picture->field = V4L2_FIELD_NONE;
        picture->bytesperline = WIDTH * 2;
        picture->sizeimage = BYTES;
        return 0;
    }
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: {
        struct v4l2_captureparm *rate = &((struct v4l2_streamparm *)argument)->parm.capture;
        rate->capability = V4L2_CAP_TIMEPERFRAME;
        rate->timeperframe.numerator = 1;
        rate->timeperframe.denominator = 25;
        return 0;
    }
    case VIDIOC_QUERYBUF:
        ((struct v4l2_buffer *)argument)->length = BYTES;
        ((struct v4l2_buffer *)argument)->m.offset = ((struct v4l2_buffer *)argument)->index * PAGE;
        return 0;
    case VIDIOC_QBUF:
        queue[num_queued++] = ((struct v4l2_buffer *)argument)->index;
        return 0;
    case VIDIOC_DQBUF:
        return take_picture(argument);
    case VIDIOC_G_INPUT:
    case VIDIOC_S_INPUT:
        *(int *)argument = 0;
        return 0;
    case VIDIOC_REQBUFS:
    case VIDIOC_STREAMON:
    case VIDIOC_STREAMOFF:
        return 0;
    }
    return fail(EINVAL);
}
